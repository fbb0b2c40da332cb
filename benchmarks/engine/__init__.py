"""What the engine saves and keeps, by kind of tool output."""
