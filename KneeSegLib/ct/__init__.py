"""What only CT of the leg needs: joints, legs, sides, semantic labels of bones, refinement."""
