// A field to sign in, with a pen, a finger or a mouse; the form gets what was drawn as a PNG in base64.

let drawing;

function at(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return [((event.clientX - box.x) * canvas.width) / box.width, ((event.clientY - box.y) * canvas.height) / box.height];
}

const field = (canvas) => canvas.closest(".pad").querySelector("input");

document.addEventListener("pointerdown", (event) => {
  if (!("pad" in event.target.dataset)) return;
  drawing = event.target;
  drawing.setPointerCapture(event.pointerId);
  const pen = drawing.getContext("2d");
  Object.assign(pen, { lineWidth: 4, lineCap: "round", lineJoin: "round", strokeStyle: "#10203f" });
  pen.beginPath();
  pen.moveTo(...at(drawing, event));
});

document.addEventListener("pointermove", (event) => {
  if (!drawing) return;
  const pen = drawing.getContext("2d");
  pen.lineTo(...at(drawing, event));
  pen.stroke();
});

for (const end of ["pointerup", "pointercancel"])
  document.addEventListener(end, () => {
    if (drawing) field(drawing).value = drawing.toDataURL("image/png").split(",")[1];
    drawing = undefined;
  });

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-pad-clear]")) return;
  const canvas = event.target.closest(".pad").querySelector("canvas");
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  field(canvas).value = "";
});
