"""`python -m mapper_ivesk_vicai` is `mapper-ivesk-vicai`."""

from mapper_ivesk_vicai.mapper import MapperIveskVicai

MapperIveskVicai.cli()
