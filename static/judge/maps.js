// Maps of looks that were not measured yet when the item was opened: put in where they are missing
// once they are there. The item's own page is asked for them, while somebody looks at such a look.

import { $, address, parse } from "./dom.js";
import { keepLayer } from "./layers.js";
import { Looking } from "./looking.js";
import { send } from "./send.js";

const MAP_LOOK_MS = 3000;
const COMING = ".trace[open] .layer[data-is-coming]";

export class Maps {
  constructor(item) {
    this.item = item;
    this.looking = new Looking(() => this.lookFor());
    this.lookLater();
  }

  stop() {
    this.looking.stop();
  }

  /** Somebody may have opened a look just now. */
  lookLater() {
    if (!this.item.isGone && $(COMING)) this.looking.later("maps", 0, MAP_LOOK_MS);
  }

  async lookFor() {
    if (this.item.isGone || !$(COMING)) return;
    const url = address(`/judgements/${this.item.id}`);
    const { html } = await send(url, undefined, { method: "GET", carries: "#work" });
    if (this.item.isGone) return;
    const fresh = parse(html);
    for (const layer of document.querySelectorAll(".layer[data-is-coming]")) put(layer, fresh);
    this.lookLater();
  }
}

/** Puts in what has come for the look of a layer: the layer, its map, and what is said without it. */
function put(layer, fresh) {
  const sight = layer.closest(".sight");
  const come = fresh.getElementById(sight.id);
  const newLayer = come && $(".layer--occlusion:not([data-is-coming])", come);
  if (!newLayer) return;
  const hadFocus = layer.contains(document.activeElement);
  const without = $("[data-without]", come.closest(".trace"));
  $(".sight__map", sight).replaceWith(document.adoptNode($(".sight__map", come)));
  layer.replaceWith(document.adoptNode(newLayer));
  const trace = sight.closest(".trace");
  if (without && !$("[data-without]", trace)) trace.append(document.adoptNode(without));
  keepLayer(sight);
  if (hadFocus) $("summary", newLayer).focus({ preventScroll: true });
  if (trace.open) $("#announce").textContent = $(".sight__map", sight).getAttribute("aria-label");
}
