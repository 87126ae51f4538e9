// Shows the choices of one rule, or of all.
document.querySelectorAll(".switches").forEach((group) => {
  const card = group.closest(".card");
  group.addEventListener("click", (event) => {
    const chosen = event.target.closest("button");
    if (!chosen) return;
    group.querySelectorAll("button").forEach((button) => button.setAttribute("aria-pressed", String(button === chosen)));
    card.querySelectorAll("circle[data-rule]").forEach((dot) => {
      dot.style.display = !chosen.dataset.rule || dot.dataset.rule === chosen.dataset.rule ? "" : "none";
    });
  });
});
