// What the fields of the form hold, and what is said under those that hold something else.

const $ = (id) => document.getElementById(id);

/** Whole number of a text field, or null, and then the field says why. */
export function whole(field, least, most) {
  const written = field.value.trim();
  const value = /^\d{1,20}$/.test(written) ? BigInt(written) : null;
  return tell(field, value !== null && value >= least && value <= most ? value : null, `A whole number, ${least} to ${most}.`);
}

/** A scale in a text field, 0 to 100, or null. */
export function scale(field) {
  const written = field.value.trim();
  const value = /^\d{1,3}([.]\d{1,9})?$/.test(written) ? Number(written) : null;
  return tell(field, value !== null && value <= 100 ? value : null, "A number, 0 to 100.");
}

function tell(field, value, words) {
  field.setAttribute("aria-invalid", String(value === null));
  $(`${field.id}-error`).textContent = value === null ? words : "";
  return value;
}

/** Buttons for the classes, by value: `all`, and each of `[value, name]`. The one of the value `chosen` is pressed. */
export function classButtons(all, classes, chosen) {
  const known = classes.some(([value]) => value === chosen) ? chosen : all;
  for (const [value, name] of [[all, "all"], ...classes]) {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "class", value });
    input.checked = value === known;
    label.append(input, Object.assign(document.createElement("span"), { textContent: name }));
    $("class-buttons").append(label);
  }
  $("classes").hidden = false;
}
