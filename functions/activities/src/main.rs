fn main() -> std::process::ExitCode {
    shared::function::serve(activities::FUNCTION)
}
