"""An experiment, or a results folder, as one page that opens anywhere."""
