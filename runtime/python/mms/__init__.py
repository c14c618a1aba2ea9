"""MXNet's base class lies where its model server has it."""
