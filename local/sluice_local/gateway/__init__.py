"""What a request passes before ministack: the guard, signatures, and the cloud's own paths."""
