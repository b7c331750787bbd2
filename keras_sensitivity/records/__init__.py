"""Results -> TensorBoard event files, readable by stock TensorBoard, and back."""
