"""Images from anatomy: subjects prepared as distance fields, posed, given soft tissue and put through a scanner."""
