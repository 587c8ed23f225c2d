"""Publishing: the release of datasets, models and Spaces, their cards, and the embedded Hub to rehearse on."""
