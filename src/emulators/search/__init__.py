"""Azure AI Search as its REST API is used here: one search service of one customer, strict about everything else.

https://learn.microsoft.com/rest/api/searchservice/documents/search-post, api-version 2024-07-01: words, vectors, and
filters that trim by groups and levels. What it does not know is 400 or 501, never a guess. Its words are counted, its
vectors compared; scores are not those of the service.
"""

from emulators.search.filters import parse_filter
from emulators.search.service import Admit, SearchIndex, SearchService

__all__ = ["Admit", "SearchIndex", "SearchService", "parse_filter"]
