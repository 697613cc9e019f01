//! Tests of the index: the model test, and cases that it cannot reach or that once went wrong.

mod cases;
mod model;
