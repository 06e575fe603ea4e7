"""What a person feels: the dashboard in a real Chromium against a real ``panel serve``."""
