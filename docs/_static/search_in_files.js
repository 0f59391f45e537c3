// Pages that lie in a folder can't fetch each other: there, results of a search are titles without excerpts.
if (window.location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
