"""What methods share: one-step, Runge-Kutta and Adams engines."""
