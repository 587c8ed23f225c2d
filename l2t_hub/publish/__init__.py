"""Publishing a dataset, model or Space directory: stage, validate, upload, merge, tag, and the cards they carry."""
