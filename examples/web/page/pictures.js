// Images as the network has them, on canvases: one pixel a number, enlarged by the style sheet without smoothing.

import { PageError } from "./error.js";

const WIDTH = 140; // of a picture, in CSS pixels, or the nearest whole number of times the image's own

/** Channels, height and width of a network's images. Throws PageError if they are not pictures. */
export function size({ shape }) {
  const [channels, height, width] = shape;
  if (shape.length !== 3 || ![1, 3].includes(channels)) {
    const made = shape.join(" × ");
    throw new PageError(`This page draws images of 1 or 3 channels, and the file makes arrays of ${made}`);
  }
  return { channels, height, width };
}

/** An empty picture with its caption. */
export function picture(shape) {
  const { height, width } = size({ shape });
  const element = document.createElement("li");
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const scale = Math.max(1, Math.round(WIDTH / width));
  canvas.style.width = `${width * scale}px`; // its height follows, on a narrow screen too
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "not drawn yet");
  const caption = Object.assign(document.createElement("span"), { textContent: "\u00a0" });
  caption.setAttribute("aria-hidden", "true"); // the canvas says it
  element.append(canvas, caption);
  return element;
}

/** Fill a picture with `values` `(channels, height, width)`; `name` is read to those who do not see it. */
export function paint(element, values, { shape, data_range: [low, high] }, name, caption) {
  const { channels, height, width } = size({ shape });
  const pixels = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let colour = 0; colour < 3; colour++) {
      const value = values[(channels === 3 ? colour : 0) * width * height + pixel];
      pixels.data[4 * pixel + colour] = Math.round((255 * (value - low)) / (high - low)); // a clamped array
    }
    pixels.data[4 * pixel + 3] = 255;
  }
  const canvas = element.querySelector("canvas");
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  canvas.setAttribute("aria-label", name);
  element.querySelector("span").textContent = caption;
  element.classList.remove("old");
}
