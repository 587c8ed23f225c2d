"""What a release is: the strict schema of a recipe, and how a YAML file, its parents and overrides become one."""

from l2t_hub.recipe.loader import bundled_recipes, load_recipe, load_releases, recipe_from_tree
from l2t_hub.recipe.schema import Recipe

__all__ = ["Recipe", "bundled_recipes", "load_recipe", "load_releases", "recipe_from_tree"]
