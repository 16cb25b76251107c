fn main() -> Result<(), shared::function::BoxError> {
    shared::function::serve(docs::FUNCTION)
}
