"""Train the networks on synthetic images: recipes, sample sources, losses, the loop, and the bundle at its end."""
