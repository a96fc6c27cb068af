/** What a person is told: `message` says what is wrong, `hint` what to do. */
export class PageError extends Error {
  constructor(message, hint = "") {
    super(message);
    this.hint = hint;
  }
}
