"""What a request passes before ministack: who is answered at all, signatures, and the cloud's own paths."""
