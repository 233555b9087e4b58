"""What the interoperation tests steer: nodes of this project and of other implementations, as processes."""
