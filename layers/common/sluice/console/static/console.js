// Pages work without this: it writes times in the zone of who reads them, with UTC on hover.
(() => {
  const wrote = new WeakSet();
  // Seconds matter where one thing follows another; the year, where it is not this one.
  const form = (at, isExact) => new Intl.DateTimeFormat(undefined, {
    month: "short", day: "numeric", hour: "numeric", minute: "2-digit",
    ...(isExact ? { second: "2-digit" } : {}),
    ...(at.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" }),
  }).format(at);
  const localize = () => {
    for (const time of document.querySelectorAll("time[datetime]")) {
      if (wrote.has(time) && !time.textContent.endsWith("UTC")) continue;
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.valueOf())) continue;
      if (!time.title) time.title = time.textContent;
      time.textContent = form(at, time.closest(".story, .gantt") !== null);
      wrote.add(time);
    }
  };
  localize();
  document.addEventListener("htmx:after:swap", localize);
})();
