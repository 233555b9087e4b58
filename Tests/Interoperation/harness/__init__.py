"""The processes of the interoperation tests: nodes of this project and of other implementations."""
