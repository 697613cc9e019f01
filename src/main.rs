//! The `pondmount` program: everything is in the library, and the command line in [`pondmount::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    pondmount::cli::run(std::env::args_os().collect())
}
