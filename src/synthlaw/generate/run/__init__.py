"""A generation run: its folder, the workers that share it, their claims, journals and card."""
