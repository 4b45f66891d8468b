"""Images from anatomy: people prepared as distance fields, posed, clothed in tissue and put through a CT scanner."""
