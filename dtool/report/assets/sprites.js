// Pictures: one sprite per recipe and kind, a row per image, a column per frame; drawn tile by tile on canvases.
const sources = []; // of each row: {x, x0} of its run, or {final} of its images alone; the others null

/** Load every sprite; resolves when all can be drawn. */
function loadSprites() {
  const loaded = (uri) => {
    if (!uri) return null;
    const image = new Image();
    image.src = uri;
    return image;
  };
  for (const row of sheet.rows) sources.push({ x: loaded(row.x), x0: loaded(row.x0), final: loaded(row.final) });
  const images = sources.flatMap((source) => Object.values(source)).filter(Boolean);
  return Promise.all(images.map((image) => image.decode()));
}

/** The frame of a row at the slider's place: all recipes are at the same fraction of their run. */
function frameOf(row) {
  const last = sheet.rows[row].at.length - 1;
  return sheet.frames < 2 ? 0 : Math.round((state.at / (sheet.frames - 1)) * last);
}

/** The state, 0 … steps, that a row shows; null if only its end is known. */
function stepOf(row) {
  const known = sheet.rows[row];
  return known.steps === null ? null : known.at[frameOf(row)];
}

/** "step 3 of 10, t = 700" for a row. */
function placeOf(row) {
  const step = stepOf(row);
  if (step === null) return "the image";
  const times = report.entries[row].points?.time ?? [];
  const runs = sheet.rows[row].steps;
  const fits = times.length === runs || times.length === runs + 1;
  const time = fits && step < times.length && times[step] !== null ? `, t = ${short(times[step])}` : "";
  return step === runs ? `step ${step}, the image` : `step ${step} of ${runs}${time}`;
}

/** Draw image `image` of a row on a canvas of the tile's own size. */
function drawTile(canvas, row, image) {
  const { width, height } = sheet;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const source = sources[row];
  const frames = source[state.kind];
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(frames ?? source.final, frames ? frameOf(row) * width : 0, image * height, width, height, 0, 0, width, height);
}

const scratch = document.createElement("canvas");

/** The pixels of a tile as it is now, 4 bytes each. */
function pixelsOf(row, image) {
  drawTile(scratch, row, image);
  return scratch.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, sheet.width, sheet.height).data;
}

/** {values: mean difference of the channels of each pixel, most: the largest of them, rmse}: in units of the data. */
function differenceOf(row, other, image) {
  const [mine, theirs] = [pixelsOf(row, image), pixelsOf(other, image)];
  const values = new Float32Array(mine.length / 4);
  let [most, squares] = [0, 0];
  for (let i = 0; i < values.length; i += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      const apart = ((mine[4 * i + channel] - theirs[4 * i + channel]) / 255) * sheet.range;
      values[i] += apart / 3;
      squares += apart * apart;
    }
    most = Math.max(most, Math.abs(values[i]));
  }
  return { values, most, rmse: Math.sqrt(squares / (3 * values.length)) };
}

/** A colour of the page as [r, g, b]. */
function colourOf(name) {
  const pen = scratch.getContext("2d", { willReadFrequently: true });
  const style = make("i", { hidden: true });
  style.style.color = `var(${name})`;
  document.body.append(style);
  pen.fillStyle = getComputedStyle(style).color;
  style.remove();
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

/** Draw a difference: the page's paper where there is none, warm where it is more, cold where it is less. */
function drawDifference(canvas, values, most) {
  const { width, height } = sheet;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const [none, more, less] = ["--none", "--more", "--less"].map(colourOf);
  const picture = new ImageData(width, height);
  values.forEach((value, i) => {
    const share = most > 0 ? Math.min(1, Math.abs(value) / most) : 0;
    const end = value > 0 ? more : less;
    for (let channel = 0; channel < 3; channel += 1) {
      picture.data[4 * i + channel] = none[channel] + share * (end[channel] - none[channel]);
    }
    picture.data[4 * i + 3] = 255;
  });
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

/** A round number at or above `value`: 1, 2 or 5 times a power of ten. */
function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((times) => times * power).find((limit) => limit >= value);
}
