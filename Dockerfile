# An image of the app for Container Apps or Premium. The base image is the Functions host with Python, such as
# mcr.microsoft.com/azure-functions/python:4-python3.13; there is no default, so that nobody builds on an old one unseen.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}

ENV AzureWebJobsScriptRoot=/home/site/wwwroot \
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true

WORKDIR /home/site/wwwroot
COPY requirements*.txt ./
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
