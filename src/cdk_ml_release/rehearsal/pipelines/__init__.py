"""CodePipeline and CodeBuild: walking the declared pipeline, performing its actions."""
