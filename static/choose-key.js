// A field for a key takes the key that is pressed in it. Tab, Space and Escape stay the browser's.

document.addEventListener("keydown", (event) => {
  if (!event.target.matches("[data-choose-key]")) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const isNamed = /^(Enter|Backspace|Arrow(Left|Right|Up|Down))$/.test(event.key);
  const isCharacter = [...event.key].length === 1 && event.key !== " ";
  if (!isNamed && !isCharacter) return;
  event.preventDefault();
  event.target.value = isCharacter ? event.key.toLowerCase() : event.key;
});
