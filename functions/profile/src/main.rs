fn main() -> std::process::ExitCode {
    shared::function::serve(profile::FUNCTION)
}
