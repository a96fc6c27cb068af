// Boxes that scroll: where there is more of them, their edge fades, and a line under them says so.

/** Watch all boxes; a box grows with what is drawn into it. */
function startScroll() {
  for (const box of all(".scroll")) {
    const said = make("p", { className: "more", hidden: true, "aria-hidden": "true" });
    box.after(said);
    const look = () => showMore(box, said);
    box.addEventListener("scroll", look, { passive: true });
    const watch = new ResizeObserver(look);
    [box, ...box.children].forEach((element) => watch.observe(element));
    look();
  }
}

/** Mark the sides on which a box has more than it shows. */
function showMore(box, said) {
  const right = box.scrollWidth - box.clientWidth - box.scrollLeft > 2;
  const below = box.scrollHeight - box.clientHeight - box.scrollTop > 2;
  box.classList.toggle("more-right", right);
  box.classList.toggle("more-below", below);
  said.hidden = box.scrollWidth - box.clientWidth <= 2 && box.scrollHeight - box.clientHeight <= 2;
  said.textContent = right && below ? "More to the right ⟶ and below ↓" : right ? "More to the right ⟶" : below ? "More below ↓" : " ";
}
