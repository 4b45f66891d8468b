from __future__ import annotations


def test_a_network_is_written_for_others_and_the_folder_told(kneeseg, tmp_path):
    outcome = kneeseg("export", "bundle", "ct-knee", "-o", tmp_path / "ct-knee", "--progress", "json")
    assert outcome.status == 0
    assert outcome.events[-1]["folder"] == str(tmp_path / "ct-knee")
    assert (tmp_path / "ct-knee" / "models" / "model.ts").is_file()


def test_a_network_that_needs_others_is_refused_in_a_sentence(kneeseg, tmp_path):
    outcome = kneeseg("export", "bundle", "mr-shape-femur", "-o", tmp_path / "out")
    assert outcome.status == 2
    assert "fits a shape model to the predicted bone in a crop" in outcome.sentence
    assert not (tmp_path / "out").exists()


def test_an_unknown_network_is_refused_with_those_there_are(kneeseg, tmp_path):
    outcome = kneeseg("export", "bundle", "ct-elbow", "-o", tmp_path / "out")
    assert outcome.status == 4 and "ct-knee" in outcome.sentence
