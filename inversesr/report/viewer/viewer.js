"use strict";
// Shows the volumes that the report carries; nothing is ever loaded from elsewhere.
(async function () {
  const AXIAL_CORONAL_SAGITTAL = 3, GRID = 2, NO_RENDERING = 0, VOXELS_AT = 352;
  const layers = JSON.parse(document.getElementById("volumes").textContent);
  const find = (id) => document.getElementById(id);

  async function unpack(layer) {
    const letters = atob(layer.text);
    const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const file = await new Response(stream).arrayBuffer();
    const voxels = new Uint8Array(file, VOXELS_AT);
    // each voxel was stored as its difference from the one before it along one axis
    for (let i = layer.stride; i < voxels.length; i++)
      if (Math.floor(i / layer.stride) % layer.n_along !== 0) voxels[i] += voxels[i - layer.stride];
    return file;
  }

  // Values of 0 in a map are left transparent.
  async function volume(layer, opacity) {
    const least = layer.colours === "gray" ? 0 : 1;
    return niivue.NVImage.new(
      await unpack(layer), layer.name + ".nii", layer.colours, opacity, null, least, layer.white);
  }

  async function canvas(id) {
    const view = new niivue.Niivue({
      logLevel: "error", dragAndDropEnabled: false, isNearestInterpolation: true,
      isRadiologicalConvention: true, show3Dcrosshair: false, crosshairColor: [1, 0.8, 0, 0.7],
      multiplanarLayout: GRID, multiplanarShowRender: NO_RENDERING,
      sliceType: AXIAL_CORONAL_SAGITTAL, backColor: [0, 0, 0, 1], loadingText: "",
    });
    await view.attachToCanvas(find(id));
    return view;
  }

  // One redraw a frame, however fast the slider moves.
  function follow(slider, draw) {
    let isWaiting = false;
    slider.addEventListener("input", () => {
      if (isWaiting) return;
      isWaiting = true;
      requestAnimationFrame(() => { isWaiting = false; draw(Number(slider.value) / 100); });
    });
  }

  async function start() {
    const [left, right] = [await canvas("left"), await canvas("right")];
    const byName = Object.fromEntries(layers.map((layer) => [layer.name, layer]));
    left.addVolume(await volume(byName.measured, 1));
    // the finest volume is the ground that the others are drawn onto
    right.addVolume(await volume(byName.restored, 1));
    right.addVolume(await volume(byName.measured, 0));
    const maps = layers.filter((layer) => layer.colours !== "gray");
    for (const map of maps) right.addVolume(await volume(map, 0));
    left.broadcastTo([right], { "2d": true });
    right.broadcastTo([left], { "2d": true });

    follow(find("fade"), (share) => {
      right.setOpacity(1, share);
      find("right-name").textContent =
        share === 0 ? "restored" : share === 1 ? "measured" : "restored, measured laid over it";
    });
    maps.forEach((map, k) =>
      follow(find("fade-" + map.name), (share) => right.setOpacity(2 + k, share)));
    find("smooth").addEventListener("change", (event) => {
      for (const view of [left, right]) view.setInterpolation(!event.target.checked);
    });
    find("viewer").dataset.state = "ready";
    find("viewer-state").hidden = true;
  }

  try {
    find("viewer").hidden = false;
    await start();
  } catch (error) {
    find("viewer").dataset.state = "failed";
    find("viewer-state").textContent =
      "The viewer cannot start here (" + error.message + "). The pictures above show the same; " +
      "for the viewer open this file in a current Chrome, Edge, Firefox or Safari with WebGL 2.";
  }
})();
