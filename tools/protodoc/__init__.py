"""The reference pages of docs/, made from the comments in proto/."""
