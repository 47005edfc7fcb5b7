"""Markets made of books, quotes or prints, and the compiled kernel that walks their rows (F2 to F7, F9, F12, F14)."""
