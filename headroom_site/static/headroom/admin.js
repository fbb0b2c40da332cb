// Names, for those who hear the page, of fields of Django's admin that have none of their own.
document.getElementById("searchbar")?.setAttribute("aria-label", "Search");

// Lists that load what they offer are built at some time of their own, again for each row that is added, and they name
// themselves anew after a choice.
function nameLists() {
  for (const list of document.querySelectorAll(".select2-selection, .select2-selection__rendered")) {
    const field = list.closest(".select2-container").previousElementSibling;
    const label = field && document.querySelector(`label[for="${CSS.escape(field.id)}"]`);
    const name = label ? label.textContent.replace(/:$/, "") : "Choose";
    if (list.hasAttribute("aria-labelledby")) list.removeAttribute("aria-labelledby");
    list.setAttribute("aria-label", [name, list.textContent.trim()].filter(Boolean).join(": "));
  }
}

const whatNamesLists = { childList: true, subtree: true, attributeFilter: ["aria-labelledby"] };
new MutationObserver(nameLists).observe(document.body, whatNamesLists);
nameLists();
