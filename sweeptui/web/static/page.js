// Starts textual.js, which holds xterm.js and the protocol, in a page that runs no inline script and loads nothing from
// elsewhere.
"use strict";

const nonce = document.currentScript.dataset.nonce;
const terminal = document.getElementById("terminal");

// xterm.js writes its sizes and colours into <style> elements, which the page's policy lets through by this nonce.
const createElement = document.createElement.bind(document);
document.createElement = (name, options) => {
  const element = createElement(name, options);
  if (name.toLowerCase() === "style") element.nonce = nonce;
  return element;
};

terminal.dataset.sessionWebsocketUrl = window.location.origin.replace(/^http/, "ws") + "/ws";
document.getElementById("again").addEventListener("click", () => window.location.reload());

// Keys go to the cockpit from the start, without a click; it can be told once the connection stands.
new MutationObserver((_, observer) => {
  if (terminal.classList.contains("-connected")) {
    observer.disconnect();
    terminal.querySelector(".xterm-helper-textarea").focus();
  }
}).observe(terminal, { attributes: true, attributeFilter: ["class"] });

async function start() {
  // Cells are measured once: with the font that they are drawn in.
  await Promise.allSettled(["16px", "bold 16px"].map((font) => document.fonts.load(font + " 'Roboto Mono'")));
  const script = createElement("script");
  script.src = "/static/textual.js";
  script.addEventListener("load", () => window.onload()); // where it puts its start
  document.head.append(script);
}

window.addEventListener("load", start);
