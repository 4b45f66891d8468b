"""Trained nnU-Net v2 folders, run through the package nnunetv2 (extra ``nnunet``). Importing this loads neither.

===================  ==================================================================================
``folder.py``        what a folder holds: plans, labels, folds, checkpoints, the stage before a cascade
``architecture.py``  which classes plans may name
``checkpoint.py``    weights out of a pickle that cannot execute anything
``predictor.py``     from an image to logits on its grid
``prediction.py``    logits as labels and margins
``sides.py``         the side of labels that tell none
``naming.py``        labels as structures of KneeSeg
``dataset.py``       the parts of a data set to train on
===================  ==================================================================================
"""
