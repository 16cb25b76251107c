fn main() -> std::process::ExitCode {
    shared::function::serve(plans::FUNCTION)
}
