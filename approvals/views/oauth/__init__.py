"""The OAuth authorization server: the library's endpoints, hardened, and the pages that people see of it."""
