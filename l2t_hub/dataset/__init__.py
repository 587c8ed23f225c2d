"""Datasets: built from a recipe (`build.build`), and checked against their manifest (`verify.verify`)."""
