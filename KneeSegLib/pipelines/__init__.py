"""From a scan to findings: one file per published system, on one spine. Importing this loads no torch.

====================  =================================================================================
``table.py``          what there is to choose from: pipelines, qualities, sides, devices
``request.py``        what a user asks for, checked
``choice.py``         which pipeline a volume goes through
``pipeline.py``       the spine: memory, device, models, steps, provenance
``ct_pipeline.py``    what pipelines of CT begin with: legs and sides
``ct_leg.py``         three 2D U-Nets for CT of the lower limb
``ct_femur_vnet.py``  V-Net with a gradient pre-processor, for the femur in CT
``mr_knee.py``        deep shape fitting for MR of the knee
``findings.py``       what a pipeline returns
====================  =================================================================================
"""
