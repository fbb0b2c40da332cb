// Names, for those who hear the page, of fields of Django's admin that have none of their own.
document.getElementById("searchbar")?.setAttribute("aria-label", "Search");

// Lists that load what they offer are built when the page is ready, and again for each row that is added.
function nameLists() {
  for (const list of document.querySelectorAll(".select2-selection, .select2-selection__rendered")) {
    const field = list.closest(".select2-container").previousElementSibling;
    const label = field && document.querySelector(`label[for="${CSS.escape(field.id)}"]`);
    const name = label ? label.textContent.replace(/:$/, "") : "Choose";
    list.removeAttribute("aria-labelledby");
    list.setAttribute("aria-label", [name, list.textContent.trim()].filter(Boolean).join(": "));
  }
}

addEventListener("load", nameLists);
addEventListener("formset:added", nameLists);
document.addEventListener("focusin", nameLists);
