//! xrbench: see the crate documentation of the library beside it.

fn main() -> std::process::ExitCode {
    xrbench::app::main()
}
