fn main() -> Result<(), shared::function::BoxError> {
    shared::function::serve(health::FUNCTION)
}
