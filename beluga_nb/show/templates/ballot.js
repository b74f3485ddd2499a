"use strict";

// Where voters begin, this is empty; a voter's own page is at /v/TOKEN.
const root = location.pathname.startsWith("/v/") ? location.pathname.replace(/\/+$/, "") : "";
const KEYS = {
  ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie",
  1: "left", 2: "right", t: "tie", b: "both bad", s: "skip", u: "undo",
};
// Milliseconds after new pictures in which answers are ignored, so that a held key votes once.
const UNSEEN = 250;
const STEP = 10;

// As in ballot.css: there the pictures stand one above the other.
const stacked = matchMedia("(max-width: 719.98px) and (orientation: portrait)");
const PLACES = { left: ["Left", "←", "Upper", "1"], right: ["Right", "→", "Lower", "2"] };

const byId = (id) => document.getElementById(id);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const pair = byId("pair");
let state = { stage: "loading" }, shownAt = 0, busy = false, origin = [50, 50];

async function ask(path, body) {
  const sent = body && { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(root + path, sent);
  const answered = await response.json();
  if (response.ok) return answered;
  throw Object.assign(new Error(answered.error?.message ?? answered.error), { status: response.status });
}

// An answer may be sent again: to a question that is no longer asked it is none.
async function askUntilAnswered(path, body) {
  for (let wait = 1000; ; wait = Math.min(2 * wait, 15000)) {
    try {
      const answered = await ask(path, body);
      tell("");
      return answered;
    } catch (error) {
      if (error.status && error.status < 500) return { stage: "message", words: error.message };
      tell(body ? "Not saved yet. Trying again …" : "No connection. Trying again …", true);
      await pause(wait);
    }
  }
}

function tell(words, problem = false) {
  byId("status").textContent = words;
  byId("status").classList.toggle("problem", problem);
}

async function show(next) {
  const images = next.stage === "vote" ? await loaded(next) : [];
  if (images === null) return show(await askUntilAnswered("/state"));
  const changed = state.stage !== next.stage;
  state = next;
  for (const id of ["consent", "vote", "end", "message"]) byId(id).hidden = true;
  byId("progress").hidden = next.total === undefined;
  byId("caption").textContent = next.caption ?? "";
  byId("note").textContent = next.note ?? "";
  if (next.total !== undefined) {
    byId("bar").max = next.total;
    byId("bar").value = next.done;
    byId("count").textContent = `${next.done} of ${next.total}`;
  }
  STAGES[next.stage](next, images, changed);
  for (const button of document.querySelectorAll("[data-answer=undo]")) button.disabled = !next.undo;
}

// Both pictures appear at once, whichever comes first.
async function loaded(next) {
  if (!next.left) return [];
  const images = [next.left, next.right].map((name) => Object.assign(new Image(), { alt: "", src: `${root}/p/${name}` }));
  try {
    await Promise.all(images.map((image) => image.decode()));
    return images;
  } catch {
    // Another tab has answered meanwhile, or the connection was lost.
    await pause(500);
    return null;
  }
}

function name() {
  for (const [side, words] of Object.entries(PLACES)) {
    const [place, key] = stacked.matches ? words.slice(2) : words;
    const button = document.querySelector(`.answers [data-answer=${side}]`);
    button.querySelector("span").textContent = place;
    button.querySelector("kbd").textContent = key;
    byId(side).setAttribute("aria-label", `The ${place.toLowerCase()} picture is better`);
  }
}

const STAGES = {
  consent(next) {
    byId("consent").hidden = false;
    byId("named").hidden = Boolean(root);
    byId("invited").hidden = !root;
    byId("code").textContent = next.voter ?? "";
  },
  vote(next, images, changed) {
    byId("vote").hidden = false;
    zoom(false);
    for (const [number, side] of ["left", "right"].entries()) {
      byId(side).classList.remove("chosen");
      byId(side).replaceChildren(...images.slice(number, number + 1));
    }
    tell(images.length ? `Pair ${Math.min(next.done + 1, next.total)} of ${next.total}` : "These pictures cannot be shown. Skip them.");
    shownAt = performance.now();
    if (changed) byId("vote").focus();  // else a screen reader would begin again at the top
  },
  end(next, _, changed) {
    byId("end").hidden = false;
    byId("thanks").textContent = `Thank you, ${next.voter}.`;
    byId("why").textContent = "";
    finish(next, changed);
  },
  closed(next, _, changed) {
    byId("end").hidden = false;
    byId("thanks").textContent = "The vote is closed.";
    byId("why").textContent = next.summary ? "Thank you for your answers." : "Thank you for coming.";
    finish(next, changed);
  },
  uninvited() {
    STAGES.message({ words: "Open the link that you were given." });
  },
  message(next) {
    byId("message").hidden = false;
    byId("words").textContent = next.words;
    byId("again").hidden = !root;
    byId("words").focus();
  },
};

function finish(next, changed) {
  byId("summary").replaceChildren(
    ...(next.summary ?? []).map((words) => Object.assign(document.createElement("li"), { textContent: words })),
  );
  byId("back").hidden = !next.undo;
  byId("next").hidden = !next.open || next.stage !== "end";
  tell("");
  if (changed) byId("thanks").focus();
}

async function answer(word) {
  const canAnswer = state.stage === "vote" || (word === "undo" && state.stage === "end");
  const seconds = (performance.now() - shownAt) / 1000;
  if (busy || !canAnswer || seconds * 1000 < UNSEEN || (word === "undo" && !state.undo)) return;
  if (!state.left && state.stage === "vote" && !["skip", "undo"].includes(word)) return;
  busy = true;
  byId(word)?.classList.add("chosen");
  try {
    await show(await askUntilAnswered("/answer", { question: state.question, answer: word, seconds }));
  } finally {
    busy = false;
  }
}

function zoom(on) {
  pair.classList.toggle("zoomed", on);
  byId("zoom").setAttribute("aria-pressed", String(on));
  look(50, 50);
}

function look(x, y) {
  origin = [x, y].map((share) => Math.max(0, Math.min(100, share)));
  pair.style.setProperty("--x", `${origin[0]}%`);
  pair.style.setProperty("--y", `${origin[1]}%`);
}

byId("consent").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (busy) return;
  busy = true;
  try {
    const begun = await askUntilAnswered("/begin", { voter: byId("name").value });
    if (begun.page && begun.page !== root) location.assign(begun.page);
    else await show(begun.page ? await askUntilAnswered("/state") : begun);
  } finally {
    busy = false;
  }
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.id === "zoom") zoom(!pair.classList.contains("zoomed"));
  // Zoomed in, a tap moves the view.
  else if (button?.dataset.answer && !(button.closest(".zoomed") && event.detail)) answer(button.dataset.answer);
});

pair.addEventListener("pointermove", (event) => {
  const box = event.target.closest(".picture")?.getBoundingClientRect();
  if (box) look((100 * (event.clientX - box.left)) / box.width, (100 * (event.clientY - box.top)) / box.height);
});

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input")) return;
  if (!["vote", "end"].includes(state.stage)) return;
  const zoomed = pair.classList.contains("zoomed");
  const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.shiftKey && zoomed && moves) look(origin[0] + moves[0], origin[1] + moves[1]);
  else if (event.shiftKey && moves) return;
  else if (key === "z") zoom(!zoomed);
  else if (KEYS[key]) answer(KEYS[key]);
  else return;
  event.preventDefault();
});

// Another tab may have answered.
document.addEventListener("visibilitychange", async () => {
  if (document.hidden || busy || state.stage !== "vote") return;
  const current = await ask("/state").catch(() => null);
  if (current && current.question !== state.question) show(current);
});

stacked.addEventListener("change", name);
name();
askUntilAnswered("/state").then(show);
