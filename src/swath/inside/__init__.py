"""What runs inside a slot's child: the loop around the user's function, and values on their way to Arrow."""
