"""Print the JSON Schema of pipeline.yaml: `python -m sluice.domain.config > docs/pipeline.schema.json`."""

import json

from sluice.domain.config import json_schema

print(json.dumps(json_schema(), indent=2))
